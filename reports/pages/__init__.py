"""From a record to a page: ``shell`` and ``parts`` are every page's, then a room for each kind of run."""
