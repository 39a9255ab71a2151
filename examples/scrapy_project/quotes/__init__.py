"""A Scrapy project of ordinary shape, with the add-on in its settings."""
