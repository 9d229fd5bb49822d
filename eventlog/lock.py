import contextlib
class Locked(Exception): ...
class DataDirLock(contextlib.AbstractContextManager):
    def __init__(self,path): pass
    def __exit__(self,*a): return None
