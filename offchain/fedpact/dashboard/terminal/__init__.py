"""What people see of a request in a terminal, while it runs: the views of the pages, in text."""
