"""fedpact: sell what data knows without handing the data over."""
