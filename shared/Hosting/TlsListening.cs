using System.Net;
using System.Security.Cryptography.X509Certificates;
using Cluster.Contracts.Tls;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Cluster.Hosting;

/// <summary>Ports that speak TLS where the service has a certificate, see <see cref="TlsOptions"/>.</summary>
public static partial class TlsListening
{
    /// <param name="services">Of the program.</param>
    /// <param name="mutual">Whether its ports are for parts of the cluster that are recognised by their certificates.</param>
    public static IServiceCollection AddTls(this IServiceCollection services, bool mutual)
    {
        services.AddOptions<TlsOptions>().BindConfiguration(TlsOptions.SectionName).ValidateDataAnnotations()
            .Validate(
                options => !mutual || !options.IsOn || options.AuthorityFile.Length > 0,
                "Tls:AuthorityFile is empty, so that no other part of the cluster would be recognised; give the authority's certificate, "
                    + "which ./cluster certs makes")
            .ValidateOnStart();
        services.AddSingleton(provider =>
        {
            var logger = provider.GetRequiredService<ILogger<CertificateFiles>>();
            return new CertificateFiles(
                provider.GetRequiredService<IOptions<TlsOptions>>().Value, reason => LogUnreadable(logger, reason));
        });
        return services;
    }

    /// <param name="options">Of the service that listens.</param>
    /// <param name="setting">The address's name, for who reads the refusal.</param>
    /// <param name="address">An IP address.</param>
    public static OptionsBuilder<T> RefusePlainText<T>(this OptionsBuilder<T> options, string setting, Func<T, string> address)
        where T : class =>
        options.Validate<IOptions<TlsOptions>>(
            (listening, tls) => tls.Value.MayListenOn(address(listening)), $"{setting} {TlsOptions.PlainTextRefusal}");

    /// <summary>After the port's protocols are set.</summary>
    /// <param name="listen">The port.</param>
    /// <param name="clients">What certificate who connects is to show.</param>
    /// <param name="unit">The <see cref="CertificateUnit"/> that it must be of; null: any.</param>
    /// <param name="refused">Is told of a certificate that gets no connection, and of who has shown it.</param>
    public static void UseTlsIfOn(
        this ListenOptions listen, ClientCertificates clients, string? unit = null, Action<EndPoint?, X509Certificate2>? refused = null)
    {
        var services = listen.ApplicationServices;
        if (!services.GetRequiredService<IOptions<TlsOptions>>().Value.IsOn)
            return;
        var certificates = services.GetRequiredService<CertificateFiles>();
        PlainTextNotice.AddTo(listen);
        listen.UseHttps(new TlsHandshakeCallbackOptions
        {
            OnConnection = handshake => new(certificates.ForServer(
                clients, unit, shown => refused?.Invoke(handshake.Connection.RemoteEndPoint, shown))),
        });
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Certificates have changed and cannot be used, those before stay in use: {Reason}")]
    private static partial void LogUnreadable(ILogger logger, string reason);
}
