"""Study: accuracy, pay and poison in the demo's request over digits."""
