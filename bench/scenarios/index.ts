import type { Scenario } from '../scenario.ts';
import { auth } from './auth.ts';
import { cache } from './cache.ts';
import { graphql } from './graphql.ts';
import { limits } from './limits.ts';
import { get, post } from './pass-through.ts';

/** In the order of the report. */
export const scenarios: readonly Scenario[] = [get, post, graphql, auth, limits, cache];
