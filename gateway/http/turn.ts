/** What is done for all requests of one turn of the event loop together, at its end (docs/adr/0015). */

/** An answer that has everything it needs to end. */
export interface ReadyAnswer {
  /** Must not throw. */
  sendLast(): void;
}

/** So many at the most wait for each other, */
const maxTogether = 64;

/** and after so many, looked at each time, no more where the first has waited longer than this for the work for them. */
const lookAfter = 16;
const maxWaitMs = 1;

/** Of its full length from the start: one that grows is made anew in each turn. */
const ready: (ReadyAnswer | undefined)[] = Array.from({ length: maxTogether });
let first = 0;
let count = 0;
let firstMs = 0;
let planned = false;

/**
 * Sends the last bytes of an answer, which for most are all of it, together with those of others that become ready in this turn
 * of the event loop, at its end. To go to the socket costs several times more where each write stands alone between the work
 * for two requests.
 */
export function sendSoon(answer: ReadyAnswer): void {
  if (count === 0) firstMs = performance.now();
  ready[count++] = answer;
  if (count >= maxTogether || (count % lookAfter === 0 && performance.now() - firstMs > maxWaitMs)) {
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

let tasks: (() => void)[] = [];

/**
 * For what is better done once all is read that came in this turn: of a request that came in one packet, its body is there then.
 * What is answered by that goes out with this turn.
 * @param task must not throw
 */
export function atTurnEnd(task: () => void): void {
  if (tasks.length === 0) {
    setImmediate(runTasks);
    setImmediate(endTurn);
  }
  tasks.push(task);
}

function runTasks(): void {
  const now = tasks;
  tasks = [];
  for (const task of now) task();
}

function endTurn(): void {
  planned = false;
  sendReady();
}
