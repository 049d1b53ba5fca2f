namespace Cluster.Scheduler.Webhooks;

/// <summary>Registers webhooks; after the jobs, whose feed tells when there is something to deliver.</summary>
public static class WebhookServices
{
    public static IServiceCollection AddWebhooks(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<WebhookOptions>().Bind(configuration.GetSection(WebhookOptions.SectionName)).ValidateDataAnnotations()
            .ValidateOnStart();
        services.AddSingleton<WebhookStore>();
        services.AddSingleton<DeliveryStore>();
        services.AddSingleton<WebhookSender>();
        services.AddSingleton<WebhookWords>();
        services.AddHostedService<DeliveryService>();
        return services;
    }
}
