// Express with http-proxy-middleware and nothing else: what most Node gateways begin as. Connections to the upstream are
// kept: the default agent of http-proxy-middleware 4 does that.
import express from 'express';
import { createProxyMiddleware } from 'http-proxy-middleware';

const { PORT, UPSTREAM } = process.env;

express()
  .use(createProxyMiddleware({ target: UPSTREAM! }))
  .listen(Number(PORT), '127.0.0.1');
