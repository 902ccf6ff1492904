import init from "./web.js";

init();
