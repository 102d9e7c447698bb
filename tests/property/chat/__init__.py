"""Who is answered, over generated inputs."""
