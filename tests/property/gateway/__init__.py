"""What paces and reads at the gateway, over generated inputs."""
