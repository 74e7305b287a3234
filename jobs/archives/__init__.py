"""Look through an archive before anything is taken out of it. It may be made to hurt, so this runs in a process of its
own: `python -m jobs.archives PATH NAME` prints what is wrong as JSON, or null."""
