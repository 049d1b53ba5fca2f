namespace Cluster.Scheduler.Models;

/// <summary>Registers what is asked about models.</summary>
public static class ModelServices
{
    public static IServiceCollection AddModels(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<ModelInquiryOptions>().Bind(configuration.GetSection(ModelInquiryOptions.SectionName)).ValidateDataAnnotations()
            .ValidateOnStart();
        services.AddSingleton<ModelInquiry>();
        services.AddHostedService(provider => provider.GetRequiredService<ModelInquiry>());
        services.AddSingleton<SampleInquiry>();
        services.AddSingleton<MemoryForecast>();
        services.AddSingleton<ForecastStore>();
        services.AddSingleton<ForecastWork>();
        return services;
    }
}
