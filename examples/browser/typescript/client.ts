import createClient from "openapi-fetch";

import type { components, paths } from "./api.js";

declare const process: { argv: string[] };

const client = createClient<paths>({ baseUrl: process.argv[2] });
const email = "ann@example.com";
const password = "correct horse";

const registered = await client.POST("/auth/register", { body: { email, password, first_name: "Ann" } });
if (!registered.data) throw new Error(JSON.stringify(registered.error));

const refused = await client.POST("/auth/jwt/login", {
  body: { username: email, password: "wrong" },
  headers: { "Content-Type": "application/x-www-form-urlencoded" },
});
if (refused.error?.detail !== "LOGIN_BAD_CREDENTIALS") throw new Error(JSON.stringify(refused));

const loggedIn = await client.POST("/auth/jwt/login", {
  body: { username: email, password },
  headers: { "Content-Type": "application/x-www-form-urlencoded" },
});
if (!loggedIn.data) throw new Error(JSON.stringify(loggedIn.error));

const me = await client.GET("/users/me", { headers: { Authorization: `Bearer ${loggedIn.data.access_token}` } });
const user: components["schemas"]["User"] | undefined = me.data;
if (user?.email !== email || user.first_name !== "Ann") throw new Error(JSON.stringify(me));
