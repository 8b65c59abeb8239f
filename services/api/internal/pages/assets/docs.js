// Shows the API's document with Swagger UI. Nothing is asked of another host:
// the badge of a validator is off, and the page's content policy would refuse
// it. Tokens that are typed in live as long as the page.
window.addEventListener("DOMContentLoaded", () => {
  SwaggerUIBundle({
    url: "docs/openapi.json",
    dom_id: "#api",
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    validatorUrl: null,
    queryConfigEnabled: false,
    persistAuthorization: false,
    deepLinking: true,
    defaultModelsExpandDepth: 0,
  });
});
