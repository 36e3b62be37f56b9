"""What people look at: pages over telemetry's answers."""
