"""The command line: parse, call, print. Whatever is worth testing by itself stands elsewhere."""
