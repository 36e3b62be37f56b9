"""From a model name to the deployments that can answer it. Pure."""
