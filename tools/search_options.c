#include "tools/search_options.h"

#include "query/request.h"

bool search_options_apply(const struct search_options *options, struct search_request *request,
                          struct model_options *model, struct error *err) {
    request->fusion_given = options->fusion != NULL;
    request->weights_given = options->weights != NULL;
    return (!options->modes || fuse_modes_parse(options->modes, &request->modes, err)) &&
           (!options->fusion || fuse_method_parse(options->fusion, &request->fusion, err)) &&
           (!options->weights || request_weights_parse(options->weights, request->weights, err)) &&
           (!options->precision ||
            model_precision_parse(options->precision, &model->precision, err));
}
