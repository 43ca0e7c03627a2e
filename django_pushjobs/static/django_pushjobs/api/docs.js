"use strict";

// A file and not an inline script, so that a strict Content-Security-Policy lets it run.
const dark = matchMedia("(prefers-color-scheme: dark)");
const followTheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", followTheme);
followTheme();

const docs = document.getElementById("docs");

SwaggerUIBundle({
  domNode: docs,
  url: docs.dataset.openapi,
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  defaultModelExpandDepth: 2,
  displayRequestDuration: true,
  docExpansion: "list",
  // A key stays in this page's memory, and the document is sent to no validator on the internet.
  persistAuthorization: false,
  validatorUrl: null,
});
