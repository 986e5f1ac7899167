"""The other side: asking servers, one request or a load of them. Nothing here serves."""
