-- torch.nn: layers and losses, a file for each theme, loaded when one of its classes is first used.
local module = require "torch.nn.module"
local namespace = require "host.namespace"

require "torch.nn.foreign"

return namespace("torch.nn", {
  held = {Module = module.Module, class = module.class, is_module = module.is_module},
  modules = {
    functional = "torch.nn.functional", modules = "torch.nn.modules", init = "torch.nn.initializers", utils = "torch.nn.utils",
    Parameter = "torch.nn.parameter", parameter = "torch.nn.parameters", Buffer = "torch.nn.buffer",
    Sequential = "torch.nn.sequential", ModuleList = "torch.nn.module_list", ModuleDict = "torch.nn.module_dict",
    ParameterList = "torch.nn.parameter_list", ParameterDict = "torch.nn.parameter_dict",
    LazyLinear = "torch.nn.lazy_linear",
    RNNBase = "torch.nn.rnn_base", RNN = "torch.nn.rnn", LSTM = "torch.nn.lstm", GRU = "torch.nn.gru",
    RNNCellBase = "torch.nn.rnn_cell_base", RNNCell = "torch.nn.rnn_cell", LSTMCell = "torch.nn.lstm_cell",
    GRUCell = "torch.nn.gru_cell",
    MultiheadAttention = "torch.nn.multihead_attention", Transformer = "torch.nn.transformer",
    TransformerEncoder = "torch.nn.transformer_encoder", TransformerEncoderLayer = "torch.nn.transformer_encoder_layer",
    TransformerDecoder = "torch.nn.transformer_decoder", TransformerDecoderLayer = "torch.nn.transformer_decoder_layer",
  },
  files = {
    ["torch.nn.activations"] = "Sigmoid Tanh LogSigmoid Softsign Tanhshrink Hardshrink Softshrink Softplus GELU GLU PReLU",
    ["torch.nn.adaptive_softmax"] = "AdaptiveLogSoftmaxWithLoss",
    ["torch.nn.batch_norm"] = "BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm",
    ["torch.nn.convolution"] = "Conv1d Conv2d Conv3d",
    ["torch.nn.distances"] = "CosineSimilarity PairwiseDistance",
    ["torch.nn.dropouts"] = "Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout",
    ["torch.nn.embeddings"] = "Embedding EmbeddingBag",
    ["torch.nn.instance_norm"] = "InstanceNorm1d InstanceNorm2d InstanceNorm3d",
    ["torch.nn.lazy_convolution"] = "LazyConv1d LazyConv2d LazyConv3d LazyConvTranspose1d LazyConvTranspose2d "
      .. "LazyConvTranspose3d",
    ["torch.nn.lazy_normalization"] = "LazyBatchNorm1d LazyBatchNorm2d LazyBatchNorm3d LazyInstanceNorm1d "
      .. "LazyInstanceNorm2d LazyInstanceNorm3d",
    ["torch.nn.linear"] = "Identity Linear Bilinear",
    ["torch.nn.linear_cross_entropy"] = "LinearCrossEntropyLoss LinearCrossEntropyOptions",
    ["torch.nn.losses"] = "CrossEntropyLoss NLLLoss BCELoss BCEWithLogitsLoss KLDivLoss CTCLoss",
    ["torch.nn.margin_losses"] = "SoftMarginLoss MultiLabelMarginLoss HingeEmbeddingLoss CosineEmbeddingLoss "
      .. "MarginRankingLoss MultiMarginLoss MultiLabelSoftMarginLoss TripletMarginLoss TripletMarginWithDistanceLoss",
    ["torch.nn.max_pooling"] = "MaxPool1d MaxPool2d MaxPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d",
    ["torch.nn.mean_pooling"] = "AvgPool1d AvgPool2d AvgPool3d LPPool1d LPPool2d LPPool3d AdaptiveAvgPool1d "
      .. "AdaptiveAvgPool2d AdaptiveAvgPool3d",
    ["torch.nn.normalization"] = "LayerNorm RMSNorm GroupNorm LocalResponseNorm CrossMapLRN2d",
    ["torch.nn.padding"] = "ConstantPad1d ConstantPad2d ConstantPad3d ZeroPad1d ZeroPad2d ZeroPad3d ReflectionPad1d "
      .. "ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d CircularPad1d CircularPad2d "
      .. "CircularPad3d",
    ["torch.nn.rectifiers"] = "ReLU ReLU6 SiLU Mish SELU Hardswish Hardsigmoid LeakyReLU ELU CELU Threshold RReLU Hardtanh",
    ["torch.nn.regression_losses"] = "L1Loss MSELoss SmoothL1Loss HuberLoss PoissonNLLLoss GaussianNLLLoss",
    ["torch.nn.reshaping"] = "Flatten Unflatten PixelShuffle PixelUnshuffle ChannelShuffle Fold Unfold",
    ["torch.nn.softmaxes"] = "Softmax LogSoftmax Softmin Softmax2d",
    ["torch.nn.transposed_convolution"] = "ConvTranspose1d ConvTranspose2d ConvTranspose3d",
    ["torch.nn.uninitialized"] = "UninitializedParameter UninitializedBuffer",
    ["torch.nn.unpooling"] = "MaxUnpool1d MaxUnpool2d MaxUnpool3d FractionalMaxPool2d FractionalMaxPool3d",
    ["torch.nn.upsampling"] = "Upsample UpsamplingNearest2d UpsamplingBilinear2d",
  },
  absent = {
    Container = "deprecated in PyTorch: nn.class makes a module", NLLLoss2d = "deprecated in PyTorch: nn.NLLLoss takes images",
  },
})
