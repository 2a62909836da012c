from databases import database_urls, postgres_server

__all__ = ["database_urls", "postgres_server"]
