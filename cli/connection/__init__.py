"""Which service is called, and as whom."""
