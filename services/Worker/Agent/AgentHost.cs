using System.Net;
using Cluster.Contracts.Tls;
using Cluster.Hosting;
using Cluster.Worker.Devices;
using Cluster.Worker.Telemetry;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;

namespace Cluster.Worker.Agent;

/// <summary>The agent's process: one for each node.</summary>
internal static class AgentHost
{
    public static async Task<int> RunAsync(string[] args)
    {
        try
        {
            await using var app = Build(args);
            var exit = app.Services.GetRequiredService<AgentExit>();
            await app.RunAsync();
            return exit.Code;
        }
        catch (OptionsValidationException e)
        {
            foreach (var failure in e.Failures)
                await Console.Error.WriteLineAsync(failure);
            return 2;
        }
        catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            // The state folder, the token's file or the port: the message names it.
            await Console.Error.WriteLineAsync(e.Message);
            return 2;
        }
    }

    /// <param name="args">Settings as <c>--Agent:Name=value</c>.</param>
    /// <param name="configure">Changes to the services, for tests.</param>
    public static WebApplication Build(string[] args, Action<IServiceCollection>? configure = null)
    {
        var builder = WebApplication.CreateSlimBuilder(
            new WebApplicationOptions { Args = args, ContentRootPath = AppContext.BaseDirectory });
        builder.Services.AddOptions<AgentOptions>().BindConfiguration(AgentOptions.SectionName).ValidateDataAnnotations()
            .RefusePlainText(
                "Agent:ListenAddress",
                options => IPEndPoint.TryParse(options.ListenAddress, out var listen) ? listen.Address.ToString() : options.ListenAddress)
            .Validate<IOptions<TlsOptions>>(
                (options, tls) => !options.TrainerTls || tls.Value.IsOn,
                "Agent:TrainerTls is true and Tls:CertificateFile is empty, so that other nodes' trainers would not recognise this one's; "
                    + "give the node's certificate, which ./cluster certs node makes, or leave Agent:TrainerTls out")
            .ValidateOnStart();
        builder.Services.AddTls(mutual: true);
        builder.Services.AddSingleton<IValidateOptions<AgentOptions>, AgentOptionsValidator>();
        AddAgent(builder.Services);
        builder.Services.AddGrpc(grpc => grpc.MaxReceiveMessageSize = null);
        builder.Services.AddAgentTelemetry();
        builder.WebHost.ConfigureKestrel((_, kestrel) => Listen(kestrel));
        // Trainers get their grace, and their exits are reported, before the host gives up.
        builder.Services.AddOptions<HostOptions>().Configure<IOptions<AgentOptions>>((host, agent) =>
            host.ShutdownTimeout = agent.Value.ShutdownGrace + AgentShutdown.ReportPatience + TimeSpan.FromSeconds(5));
        configure?.Invoke(builder.Services);

        var app = builder.Build();
        app.Use(LocalOnly.InvokeAsync);
        app.MapGrpcService<AgentEndpoint>();
        app.MapGrpcService<AttemptRelay>();
        app.MapGrpcService<LocalAgentEndpoint>();
        return app;
    }

    private static void AddAgent(IServiceCollection services)
    {
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton(new MachineMemory());
        services.AddSingleton(new HostTopology());
        services.AddSingleton(provider => AgentIdentity.Open(provider.GetRequiredService<IOptions<AgentOptions>>().Value.StateFolder));
        services.AddSingleton<NodeToken>();
        services.AddSingleton<SchedulerLink>();
        SchedulerRetry.Add(services);
        services.AddSingleton<NodeDevices>();
        services.AddSingleton<AgentSocket>();
        services.AddSingleton<AgentEndpoints>();
        services.AddSingleton<LaunchThread>();
        services.AddSingleton<WorkerCommand>();
        services.AddSingleton<DescribeProcess>();
        services.AddSingleton<TrainerNotes>();
        services.AddSingleton<TrainerLauncher>();
        services.AddSingleton<DataOffer>();
        services.AddSingleton<AttemptServices>();
        services.AddSingleton<AttemptTable>();
        services.AddSingleton<AgentExit>();
        services.AddHostedService<AgentShutdown>();
        services.AddHostedService(provider => provider.GetRequiredService<DataOffer>());
        services.AddHostedService<NodeRegistration>();
    }

    private static void Listen(KestrelServerOptions kestrel)
    {
        var options = kestrel.ApplicationServices.GetRequiredService<IOptions<AgentOptions>>().Value;
        // Checkpoints are long streams, and a trainer may say nothing for a long time.
        kestrel.Limits.MaxRequestBodySize = null;
        kestrel.Limits.MinRequestBodyDataRate = null;
        kestrel.Limits.MinResponseDataRate = null;
        kestrel.Limits.Http2.KeepAlivePingDelay = options.PingDelay;
        kestrel.Limits.Http2.KeepAlivePingTimeout = options.PingTimeout;
        kestrel.Listen(IPEndPoint.Parse(options.ListenAddress), listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            listen.UseTlsIfOn(ClientCertificates.Required, CertificateUnit.Scheduler);
        });
        kestrel.ListenUnixSocket(
            kestrel.ApplicationServices.GetRequiredService<AgentSocket>().Path, listen => listen.Protocols = HttpProtocols.Http2);
    }
}
