//! Where bytes come from: TCP, Unix sockets and anything else behind one trait.
