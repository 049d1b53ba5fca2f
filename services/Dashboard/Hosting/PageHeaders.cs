namespace Cluster.Dashboard.Hosting;

/// <summary>What browsers are told of every answer: no script from elsewhere, no frame around it, nothing guessed.</summary>
internal static class PageHeaders
{
    // Components set styles on elements, which a policy without 'unsafe-inline' would refuse.
    private const string Policy =
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; frame-ancestors 'none'; "
        + "base-uri 'self'; form-action 'self'; object-src 'none'";

    public static void UsePageHeaders(this WebApplication app) => app.Use((context, next) =>
    {
        var headers = context.Response.Headers;
        headers.ContentSecurityPolicy = Policy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "same-origin";
        return next(context);
    });
}
