/** An answer that has everything it needs to end. */
export interface ReadyAnswer {
  /** Must not throw. */
  sendLast(): void;
}

/** So many at the most wait for each other: what is gained grows little beyond, and what the first of them waits does. */
const maxTogether = 32;

/** Of its full length from the start: one that grows is made anew in each turn. */
const ready: (ReadyAnswer | undefined)[] = Array.from({ length: maxTogether });
let first = 0;
let count = 0;
let planned = false;

/**
 * Sends the last bytes of an answer, which for most are all of it, together with those of others that become ready in this turn
 * of the event loop, at its end. To go to the socket costs several times more where each write stands alone between the work
 * for two requests (docs/adr/0015).
 */
export function sendSoon(answer: ReadyAnswer): void {
  ready[count++] = answer;
  if (count >= maxTogether) {
    sendReady();
  } else if (!planned) {
    planned = true;
    setImmediate(endTurn);
  }
}

/** Sends what is ready now, for those who go by what has been sent. */
export function sendReady(): void {
  // What is sent may make another answer ready, and that be the one too many.
  while (first < count) {
    const answer = ready[first]!;
    ready[first++] = undefined;
    answer.sendLast();
  }
  first = 0;
  count = 0;
}

function endTurn(): void {
  planned = false;
  sendReady();
}
