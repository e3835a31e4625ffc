"""The two papers that this project implements, each as one story through chain and daemons."""
