"""All eight cells of CAS, CTS and CMS."""
