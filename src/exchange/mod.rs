//! The sans-IO heart of one worker: its sessions, its links and the replies between them.
