"use strict";

const element = document.getElementById("swagger-ui");

// The dialogue stays open for an error alone: who has logged in wants to go on.
const closeWhenLoggedIn = () => ({
  statePlugins: {
    auth: {
      wrapActions: {
        authorizeOauth2: (authorize, system) => (payload) => {
          const result = authorize(payload);
          if (payload.token && payload.token.access_token) {
            system.authActions.showDefinitions(false);
          }
          return result;
        },
      },
    },
  },
});

// The route that shows who is logged in is open from the start.
const showWhoIsLoggedIn = (system) => {
  if (window.location.hash.length > 1) {
    return;
  }
  system.specSelectors.operations().forEach((operation) => {
    const operationId = operation.getIn(["operation", "operationId"]);
    if (operationId !== "users:current_user") {
      return;
    }
    const tag = operation.getIn(["operation", "tags", 0]) || "default";
    system.layoutActions.show(["operations", tag, operationId], true);
  });
};

window.ui = SwaggerUIBundle({
  url: new URL(element.dataset.document, window.location.href).href,
  domNode: element,
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [closeWhenLoggedIn],
  layout: "BaseLayout",
  deepLinking: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: -1,
  validatorUrl: null,
  onComplete: () => showWhoIsLoggedIn(window.ui.getSystem()),
});
