from api.iam.served import aws, boto, server

__all__ = ["aws", "boto", "server"]
