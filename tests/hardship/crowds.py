PATIENT=["x"]
