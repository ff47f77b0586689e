"""What runs the connectors and the metrics: settings, warehouse, build, publishing, flows and the command line."""
