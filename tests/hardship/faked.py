def clock(s): pass
