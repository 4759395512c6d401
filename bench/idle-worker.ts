/** A thread that only is there: once it has joined, a table takes its locks. */
setInterval(() => {}, 2 ** 30);
