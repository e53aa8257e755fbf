"""From the items of one publication to the best ads of a request. Arrays and tensors only: no model, no catalogue.

``top`` is the k best of a row; ``scan`` scores all items and keeps few scores. ``faiss_index`` wraps FAISS and
``money_index`` searches it in the order of expected money. ``finder`` is what a retriever asks for its candidates.
"""
