"""The history of the read models: rows with the positions between which they were true."""
