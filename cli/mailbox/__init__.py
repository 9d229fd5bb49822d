"""What the commands of `quorate mail` share."""
