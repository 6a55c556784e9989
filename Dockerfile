# Two images from one file. `gateway` (the last, so the default) runs what `npm pack` ships; a team adds its own
# modules and configuration to it. `shop` runs the sources with the example services, as `npm start` does.
#
# Nothing here runs install scripts: the only package that needs one is `node`, which the image itself is.

FROM node:26-slim AS base
WORKDIR /app
ENV NODE_ENV=production

FROM base AS dependencies
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --workspaces=false --ignore-scripts --no-audit --no-fund

FROM base AS build
COPY package.json package-lock.json ./
COPY tools/types/package.json tools/types/
RUN npm ci --include=dev --ignore-scripts --no-audit --no-fund
COPY . .
RUN node --disable-warning=ExperimentalWarning tools/build/main.ts

FROM base AS runtime
# Modules anywhere in the image find the package as `weir`.
RUN mkdir /node_modules && ln -s /app /node_modules/weir
COPY --from=dependencies /app/node_modules node_modules/
COPY package.json LICENSE deploy/healthcheck.ts ./
USER node
STOPSIGNAL SIGTERM
EXPOSE 4000 4001
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "healthcheck.ts", "http://127.0.0.1:4001/readyz"]

FROM runtime AS shop
COPY core core/
COPY schema schema/
COPY upstreams upstreams/
COPY policies policies/
COPY resolvers resolvers/
COPY gateway gateway/
COPY examples examples/
CMD ["node", "--max-semi-space-size=64", "gateway/main.ts", "start", "--config", "/etc/weir/gateway.yaml"]

FROM runtime AS gateway
COPY --from=build /app/dist dist/
CMD ["node", "--max-semi-space-size=64", "dist/gateway/main.js", "start", "--config", "/etc/weir/gateway.yaml"]
