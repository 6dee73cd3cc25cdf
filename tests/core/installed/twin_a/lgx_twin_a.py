raise AssertionError("neither of two plugins of one name may be imported")
