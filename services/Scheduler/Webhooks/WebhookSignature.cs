using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Cluster.Scheduler.Webhooks;

/// <summary>Lets a receiver tell that a delivery is from here, whole, and not an old one sent again.</summary>
internal static class WebhookSignature
{
    public const string Header = "Cluster-Signature";

    private const string SecretPrefix = "whsec_";
    private const int SecretBytes = 32;

    public static string NewSecret() =>
        SecretPrefix + Convert.ToBase64String(RandomNumberGenerator.GetBytes(SecretBytes)).TrimEnd('=').Replace('+', '-').Replace('/', '_');

    /// <returns>
    /// "t=1767225600,v1=…": when it was sent, in seconds of Unix time, and the HMAC-SHA256 of that number, a dot and the body, under the
    /// secret's text, in hexadecimal digits.
    /// </returns>
    public static string Of(string secret, DateTimeOffset sentAt, string body)
    {
        var time = sentAt.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        var hash = HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), Encoding.UTF8.GetBytes($"{time}.{body}"));
        return $"t={time},v1={Convert.ToHexStringLower(hash)}";
    }
}
