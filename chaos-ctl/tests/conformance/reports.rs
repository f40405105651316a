//! Reports over journals: the reference's reader accepts what we write, and ours what the reference writes.
