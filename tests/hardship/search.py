def planted(s): pass
