"""An ordinary Scrapy project with the add-on in its settings."""
