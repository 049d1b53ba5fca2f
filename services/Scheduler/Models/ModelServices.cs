namespace Cluster.Scheduler.Models;

/// <summary>Registers what is asked about models.</summary>
public static class ModelServices
{
    /// <summary>Key of what answers people.</summary>
    public const string Descriptions = "descriptions";

    public static IServiceCollection AddModels(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<ModelInquiryOptions>().Bind(configuration.GetSection(ModelInquiryOptions.SectionName)).ValidateDataAnnotations()
            .ValidateOnStart();
        services.AddSingleton(provider => ActivatorUtilities.CreateInstance<ModelInquiry>(provider, InquirySize.Forecasts));
        services.AddHostedService(provider => provider.GetRequiredService<ModelInquiry>());
        services.AddSingleton<SampleInquiry>();
        services.AddKeyedSingleton(
            Descriptions, (provider, _) => ActivatorUtilities.CreateInstance<ModelInquiry>(provider, InquirySize.Descriptions));
        // Not AddHostedService, which takes each type once.
        services.AddSingleton<IHostedService>(provider => provider.GetRequiredKeyedService<ModelInquiry>(Descriptions));
        services.AddSingleton<MemoryForecast>();
        services.AddSingleton<ForecastStore>();
        services.AddSingleton<ForecastWork>();
        return services;
    }
}
