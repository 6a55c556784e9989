/** Where a command writes; a command returns its exit status and ends the process itself never. */
export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

/** The process's own. A reader that has seen enough, such as `head`, is no failure of what was written. */
export const terminal: Terminal = {
  out: writerTo(process.stdout),
  err: writerTo(process.stderr),
};

function writerTo(stream: NodeJS.WriteStream): (text: string) => void {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  return (text) => stream.write(text);
}
