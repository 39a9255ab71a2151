"""Makes the documents that the law and the Code ask for, from the log and the operator's inputs."""
