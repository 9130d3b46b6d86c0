"""stub"""
TABLES={}
def print_report(r,c): pass
def figures(r,s): return []
