"""Character language models: how well does an LSTM write?"""
