"""Keys that clients and servers encode in different ways."""

KEYS = ["a b/c+d%e", "ü/日本", "50%25", "quote'&=;,", "plus+blank end"]
